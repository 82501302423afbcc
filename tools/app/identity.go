package main

import (
	"context"
	"flag"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// identity prints the pod's X509-SVID, the trust domains it knows, and a JWT-SVID where an audience is named.
func identity(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("identity", flag.ContinueOnError)
	audience := flags.String("audience", "", "ask for a JWT-SVID for this audience")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client, err := workloadapi.New(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	known, err := client.FetchX509Context(ctx)
	if err != nil {
		return err
	}
	leaf := known.DefaultSVID().Certificates[0]
	found := map[string]any{
		"spiffe_id":  known.DefaultSVID().ID.String(),
		"serial":     leaf.SerialNumber.String(),
		"not_before": leaf.NotBefore.UTC().Format(time.RFC3339),
		"not_after":  leaf.NotAfter.UTC().Format(time.RFC3339),
	}
	domains := []string{}
	for _, bundle := range known.Bundles.Bundles() {
		domains = append(domains, bundle.TrustDomain().Name())
	}
	found["trust_domains"] = domains
	if *audience != "" {
		token, err := client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: *audience})
		if err != nil {
			return err
		}
		found["token"] = token.Marshal()
		found["token_expires"] = token.Expiry.UTC().Format(time.RFC3339)
	}
	return printJSON(found)
}
