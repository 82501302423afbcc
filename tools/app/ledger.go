package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	connections   = 4
	connectionFor = 10 * time.Second // at most: a credential ends soon after the next one is there, and its sessions with it
	table         = `CREATE TABLE IF NOT EXISTS transfers (id bigserial PRIMARY KEY, caller text NOT NULL,
		amount_minor_units bigint NOT NULL CHECK (amount_minor_units > 0), at timestamptz NOT NULL DEFAULT now())`
	book = `INSERT INTO transfers (caller, amount_minor_units) VALUES ($1, $2) RETURNING id, session_user::text`
)

// store is what a pod is told of a database or cache: variables with the store's name in capitals before them.
type store struct {
	host, port, tls, database, credentials string
}

// stores finds those of one kind: a database has <NAME>_DATABASE, a cache has not.
func stores(environment []string, databases bool) []store {
	values := map[string]string{}
	for _, entry := range environment {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = value
	}
	var found []store
	for name, folder := range values {
		prefix, isStore := strings.CutSuffix(name, "_TLS")
		_, isDatabase := values[prefix+"_DATABASE"]
		if isStore && isDatabase == databases && values[prefix+"_HOST"] != "" {
			found = append(found, store{
				host: values[prefix+"_HOST"], port: values[prefix+"_PORT"], tls: folder,
				database: values[prefix+"_DATABASE"], credentials: values[prefix+"_CREDENTIALS"],
			})
		}
	}
	return found
}

// clientTLS shows the store the certificate of this service's edge and holds the store to its name and authority.
func (s store) clientTLS() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(s.tls, "tls.crt"), filepath.Join(s.tls, "tls.key"))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(filepath.Join(s.tls, "ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s/ca.crt holds no certificate", s.tls)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: s.host, RootCAs: pool, Certificates: []tls.Certificate{pair},
	}, nil
}

// ledger is a service's database; each connection logs in with the credential that Vault's agent has written last.
type ledger struct {
	store store
	pool  *pgxpool.Pool
}

// entry is a booked transfer, and whose credential booked it.
type entry struct {
	ID    int64  `json:"id"`
	User  string `json:"database_user"`
	Cache string `json:"cache_error,omitempty"`
}

func newLedger(ctx context.Context, environment []string) (*ledger, error) {
	found := stores(environment, true)
	if len(found) == 0 || found[0].credentials == "" {
		return nil, nil //nolint:nilnil // a service without a database
	}
	made := &ledger{store: found[0]}
	config, err := pgxpool.ParseConfig(fmt.Sprintf("host=%s port=%s dbname=%s sslmode=require pool_max_conns=%d",
		made.store.host, made.store.port, made.store.database, connections))
	if err != nil {
		return nil, err
	}
	config.MaxConnLifetime, config.ConnConfig.ConnectTimeout = connectionFor, patience
	config.ConnConfig.Fallbacks = nil
	config.BeforeConnect = made.logIn
	made.pool, err = pgxpool.NewWithConfig(ctx, config)
	return made, err
}

func (l *ledger) logIn(_ context.Context, config *pgx.ConnConfig) error {
	text, err := os.ReadFile(l.store.credentials)
	if err != nil {
		return err
	}
	var credential struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	if err := json.Unmarshal(text, &credential); err != nil {
		return fmt.Errorf("%s: %w", l.store.credentials, err)
	}
	config.User, config.Password = credential.Username, credential.Password
	config.TLSConfig, err = l.store.clientTLS()
	return err
}

// ready tells whether the credential is there; the database itself may come and go.
func (l *ledger) ready() bool {
	_, err := os.Stat(l.store.credentials)
	return err == nil
}

// book writes one transfer.
func (l *ledger) book(ctx context.Context, caller string, amount int64) (*entry, error) {
	made := &entry{}
	err := pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, table); err != nil {
			return err
		}
		return tx.QueryRow(ctx, book, caller, amount).Scan(&made.ID, &made.User)
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}
