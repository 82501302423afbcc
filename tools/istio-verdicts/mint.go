package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// mintJob says what to make in a folder: <authority>.ca.pem, <leaf>.pem and <leaf>.key, signed tokens. Keys and
// authorities that the folder already has are used again.
type mintJob struct {
	Folder      string               `json:"folder"`
	Authorities map[string]string    `json:"authorities"` // file name → trust domain
	Leaves      map[string]leafSpec  `json:"leaves"`
	Tokens      map[string]tokenSpec `json:"tokens"`
	KeySets     []string             `json:"key_sets"` // names of signing keys whose JWKS is wanted
}

type leafSpec struct {
	Authority string   `json:"authority"`
	URIs      []string `json:"uris"`
	DNS       []string `json:"dns"`
}

// tokenSpec is a JWT. Alg is RS256, none, or HS256 with the key's public PEM as the secret, as a forger would do it.
type tokenSpec struct {
	Key    string         `json:"key"`
	Alg    string         `json:"alg"`
	Claims map[string]any `json:"claims"`
}

type mintResult struct {
	Tokens  map[string]string `json:"tokens"`
	KeySets map[string]string `json:"key_sets"`
}

// validity of everything minted; the machine's clock may be a little behind another's.
const validity, leeway = 24 * time.Hour, 5 * time.Minute

func mint(job mintJob) (result mintResult, err error) {
	result = mintResult{Tokens: map[string]string{}, KeySets: map[string]string{}}
	for name, trustDomain := range job.Authorities {
		if err := authority(job.Folder, name, trustDomain); err != nil {
			return result, err
		}
	}
	for name, spec := range job.Leaves {
		if err := leaf(job.Folder, name, spec); err != nil {
			return result, fmt.Errorf("leaf %s: %w", name, err)
		}
	}
	for name, spec := range job.Tokens {
		if result.Tokens[name], err = token(job.Folder, spec); err != nil {
			return result, fmt.Errorf("token %s: %w", name, err)
		}
	}
	for _, name := range job.KeySets {
		if result.KeySets[name], err = keySet(job.Folder, name); err != nil {
			return result, fmt.Errorf("key set %s: %w", name, err)
		}
	}
	return result, nil
}

func template(uris, dns []string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	made := &x509.Certificate{
		SerialNumber: serial, NotBefore: time.Now().Add(-leeway), NotAfter: time.Now().Add(validity),
		DNSNames: dns, BasicConstraintsValid: true,
	}
	for _, text := range uris {
		uri, err := url.Parse(text)
		if err != nil {
			return nil, err
		}
		made.URIs = append(made.URIs, uri)
	}
	return made, nil
}

func authority(folder, name, trustDomain string) error {
	file := filepath.Join(folder, name+".ca.pem")
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	made, err := template([]string{"spiffe://" + trustDomain}, nil)
	if err != nil {
		return err
	}
	made.Subject, made.IsCA = pkix.Name{CommonName: trustDomain}, true
	made.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return sign(file, filepath.Join(folder, name+".ca.key"), made, made, nil)
}

func leaf(folder, name string, spec leafSpec) error {
	parentKey, err := readPEM(filepath.Join(folder, spec.Authority+".ca.key"))
	if err != nil {
		return err
	}
	signer, err := x509.ParseECPrivateKey(parentKey)
	if err != nil {
		return err
	}
	parentText, err := readPEM(filepath.Join(folder, spec.Authority+".ca.pem"))
	if err != nil {
		return err
	}
	parent, err := x509.ParseCertificate(parentText)
	if err != nil {
		return err
	}
	made, err := template(spec.URIs, spec.DNS)
	if err != nil {
		return err
	}
	made.KeyUsage = x509.KeyUsageDigitalSignature
	made.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	return sign(filepath.Join(folder, name+".pem"), filepath.Join(folder, name+".key"), made, parent, signer)
}

// sign makes a key and a certificate for it; without a signer the certificate signs itself.
func sign(file, keyFile string, made, parent *x509.Certificate, signer *ecdsa.PrivateKey) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if signer == nil {
		signer = key
	}
	certificate, err := x509.CreateCertificate(rand.Reader, made, parent, key.Public(), signer)
	if err != nil {
		return err
	}
	text, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(keyFile, "EC PRIVATE KEY", text); err != nil {
		return err
	}
	return writePEM(file, "CERTIFICATE", certificate)
}

func token(folder string, spec tokenSpec) (string, error) {
	key, err := signingKey(folder, spec.Key)
	if err != nil {
		return "", err
	}
	head, err := json.Marshal(map[string]string{"alg": spec.Alg, "typ": "JWT", "kid": spec.Key})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(spec.Claims)
	if err != nil {
		return "", err
	}
	text := encode(head) + "." + encode(claims)
	digest := sha256.Sum256([]byte(text))
	switch spec.Alg {
	case "none":
		return text + ".", nil
	case "RS256":
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		return text + "." + encode(signature), err
	case "HS256":
		public, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			return "", err
		}
		mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
		mac.Write([]byte(text))
		return text + "." + encode(mac.Sum(nil)), nil
	default:
		return "", fmt.Errorf("alg %q is none of RS256, HS256, none", spec.Alg)
	}
}

func keySet(folder, name string) (string, error) {
	key, err := signingKey(folder, name)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "use": "sig", "kid": name, "alg": "RS256",
		"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
	}}})
	return string(text), err
}

func signingKey(folder, name string) (*rsa.PrivateKey, error) {
	file := filepath.Join(folder, name+".signing.key")
	text, err := readPEM(file)
	if err == nil {
		return x509.ParsePKCS1PrivateKey(text)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return key, writePEM(file, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func readPEM(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is no PEM file", file)
	}
	return block.Bytes, nil
}

func writePEM(file, kind string, raw []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600)
}
