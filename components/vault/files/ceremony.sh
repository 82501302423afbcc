#!/bin/sh
# The first minutes of a region's Vault: custodians' shares, the deployer's login, and no root token afterwards.
#
# Needs: the vault command, VAULT_ADDR, VAULT_CACERT; and of `python -m components.vault.ceremony`, which writes both:
#   SHARES     a folder with one OpenPGP public key per custodian, <name>.asc (binary, base64)
#   THRESHOLD  how many custodians make a new root token
#   DEPLOYER   the deployer's role as Vault knows it, REGION, HEADER  the login's facts
#   POLICY     the deployer's policy (deployer.hcl)
# Writes: OUT/<name>.share, one encrypted recovery share per custodian. Says what it did; ends with 1 and one sentence otherwise.
# Run again after a stop: what stands is left. A root token from the custodians in VAULT_TOKEN lets it finish the rest.
set -eu
umask 077

say() { printf 'vault ceremony: %s\n' "$1"; }
fail() {
  printf 'vault ceremony: %s\n' "$1" >&2
  exit 1
}
for name in VAULT_ADDR VAULT_CACERT SHARES THRESHOLD DEPLOYER REGION HEADER POLICY OUT; do
  eval "value=\${$name:-}"
  [ -n "$value" ] || fail "set $name; docs/runbooks/vault-init.md says to what"
done
case $VAULT_ADDR in https://*) ;; *) fail "VAULT_ADDR is $VAULT_ADDR; a ceremony over plain HTTP would publish the root token" ;; esac
[ -f "$POLICY" ] || fail "there is no policy at $POLICY"

count=0 keys=
for key in "$SHARES"/*.asc; do
  [ -f "$key" ] || fail "no custodian's key lies in $SHARES"
  count=$((count + 1)) keys="$keys${keys:+,}$key"
done
[ "$count" -gt "$THRESHOLD" ] || fail "$count custodians for a threshold of $THRESHOLD; the loss of one share would be the loss of all"

# 0 is unsealed, 2 is sealed or not initialised yet; anything else is no answer.
state=0
status=$(vault status -format=json 2>/dev/null) || state=$?
[ "$state" = 0 ] || [ "$state" = 2 ] || fail "no Vault answers at $VAULT_ADDR; see that its pods run and that VAULT_CACERT is its authority's"

fresh=
case $(printf '%s' "$status" | tr -d ' \n') in
*'"initialized":true'*) say "it is initialised already" ;;
*)
  mkdir -p "$OUT"
  answer=$OUT/.init
  vault operator init -format=json -recovery-shares="$count" -recovery-threshold="$THRESHOLD" \
    -recovery-pgp-keys="$keys" >"$answer" || fail "the initialisation was refused; nothing was made, correct it and run this again"
  fresh=yes
  # The shares, in the order of the keys: the strings of the list that is named so.
  tr -d ' \n' <"$answer" | sed 's/.*"recovery_keys_b64":\[\([^]]*\)\].*/\1/' | tr -d '"' | tr ',' '\n' >"$OUT/.shares"
  echo >>"$OUT/.shares"
  number=0
  for key in "$SHARES"/*.asc; do
    number=$((number + 1))
    custodian=$(basename "$key" .asc)
    sed -n "${number}p" "$OUT/.shares" >"$OUT/$custodian.share"
    [ -s "$OUT/$custodian.share" ] || fail "the answer has no share for $custodian; the server must be wiped and initialised again"
  done
  VAULT_TOKEN=$(tr -d ' \n' <"$answer" | sed 's/.*"root_token":"\([^"]*\)".*/\1/')
  export VAULT_TOKEN
  rm -f "$answer" "$OUT/.shares"
  say "initialised; $count shares in $OUT, each for its custodian alone, $THRESHOLD make a root token"
  ;;
esac
# From here on the root token ends however this ends.
trap '[ -z "$fresh" ] || vault token revoke -self >/dev/null 2>&1 || :' EXIT
trap 'exit 1' HUP INT TERM

tries=0
until vault status >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -le "${PATIENCE:-60}" ] || fail "it does not unseal itself; see that its role may use the key (docs/runbooks/alerts/VaultSealed.md)"
  sleep 1
done
[ -n "${VAULT_TOKEN:-}" ] || {
  say "nothing else can be looked at without a token; the custodians' root token in VAULT_TOKEN would finish what a stop left"
  exit 0
}
vault token lookup >/dev/null 2>&1 || fail "VAULT_TOKEN is refused; it was revoked, or another server's"
fresh=yes

until vault auth list -format=json >"${TMPDIR:-/tmp}/ceremony.$$" 2>/dev/null; do
  tries=$((tries + 1))
  [ "$tries" -le "${PATIENCE:-60}" ] || fail "no server became active; see the servers' logs"
  sleep 1
done
mounted=$(tr -d ' \n' <"${TMPDIR:-/tmp}/ceremony.$$")
rm -f "${TMPDIR:-/tmp}/ceremony.$$"

vault policy write deployer "$POLICY" >/dev/null || fail "the deployer's policy was refused"
say "policy deployer written"
case $mounted in
*'"aws/":'*) say "login aws stands already" ;;
*)
  vault auth enable -path=aws aws >/dev/null || fail "the login aws could not be enabled"
  say "login aws enabled"
  ;;
esac
vault write auth/aws/config/client "iam_server_id_header_value=$HEADER" "sts_endpoint=https://sts.$REGION.amazonaws.com" \
  "sts_region=$REGION" >/dev/null || fail "the login's settings were refused"
vault write auth/aws/role/deployer auth_type=iam "bound_iam_principal_arn=$DEPLOYER" resolve_aws_unique_ids=false \
  token_policies=deployer token_no_default_policy=true token_ttl=1h token_max_ttl=2h >/dev/null ||
  fail "the deployer's role was refused"
say "role deployer is $DEPLOYER and nobody else"

vault token revoke -self >/dev/null || fail "the root token was not revoked; revoke it by hand at once: vault token revoke -self"
fresh=
say "root token revoked; done"
