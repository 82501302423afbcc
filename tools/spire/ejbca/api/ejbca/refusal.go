// Package ejbca stands where SPIRE's EJBCA plugin expects that product's client, which no module proxy of this project's
// serves. It has the names that the plugin compiles against and refuses its configuration: a server told to use EJBCA as
// its upstream authority does not start. Every other plugin is untouched.
package ejbca

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
)

var errRefused = errors.New("this build of the SPIRE server has no EJBCA client: use the released image for an EJBCA upstream authority")

// Authenticator is what a client would sign in with; none can be built.
type Authenticator interface {
	GetHTTPClient() (*http.Client, error)
}

// MTLSAuthenticatorBuilder refuses to build.
type MTLSAuthenticatorBuilder struct{}

// NewMTLSAuthenticatorBuilder is the first thing that the plugin asks for when it is configured.
func NewMTLSAuthenticatorBuilder() *MTLSAuthenticatorBuilder { return &MTLSAuthenticatorBuilder{} }

// WithClientCertificate changes nothing.
func (b *MTLSAuthenticatorBuilder) WithClientCertificate(*tls.Certificate) *MTLSAuthenticatorBuilder {
	return b
}

// WithCaCertificates changes nothing.
func (b *MTLSAuthenticatorBuilder) WithCaCertificates([]*x509.Certificate) *MTLSAuthenticatorBuilder {
	return b
}

// Build refuses.
func (*MTLSAuthenticatorBuilder) Build() (Authenticator, error) { return nil, errRefused }

// Configuration names the server.
type Configuration struct{ Host string }

// NewConfiguration is empty.
func NewConfiguration() *Configuration { return &Configuration{} }

// SetAuthenticator changes nothing.
func (*Configuration) SetAuthenticator(Authenticator) {}

// APIClient has the one service that the plugin calls.
type APIClient struct{ V1CertificateApi *V1CertificateApiService }

// NewAPIClient refuses.
func NewAPIClient(*Configuration) (*APIClient, error) { return nil, errRefused }

// V1CertificateApiService enrols nothing.
type V1CertificateApiService struct{}

// EnrollPkcs10Certificate begins a request that is refused when it is executed.
func (*V1CertificateApiService) EnrollPkcs10Certificate(context.Context) ApiEnrollPkcs10CertificateRequest {
	return ApiEnrollPkcs10CertificateRequest{}
}

// ApiEnrollPkcs10CertificateRequest is a request that is refused.
type ApiEnrollPkcs10CertificateRequest struct{}

// EnrollCertificateRestRequest changes nothing.
func (r ApiEnrollPkcs10CertificateRequest) EnrollCertificateRestRequest(EnrollCertificateRestRequest) ApiEnrollPkcs10CertificateRequest {
	return r
}

// Execute refuses.
func (ApiEnrollPkcs10CertificateRequest) Execute() (*CertificateRestResponse, *http.Response, error) {
	return nil, nil, errRefused
}
