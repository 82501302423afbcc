# The deployer: how Vault is set up, and nothing that it holds. Whoever may set up logins and policies could give himself more;
# each such step is a request in the audit of both devices, and no step of it is part of a deployment.
path "sys/audit" {
  capabilities = ["read", "sudo"]
}
path "sys/audit/+" {
  capabilities = ["create", "read", "update", "delete", "sudo"]
}
path "sys/auth" {
  capabilities = ["read"]
}
path "sys/auth/+" {
  capabilities = ["create", "read", "update", "delete", "sudo"]
}
path "sys/auth/+/tune" {
  capabilities = ["read", "update", "sudo"]
}
path "sys/mounts" {
  capabilities = ["read"]
}
path "sys/mounts/+" {
  capabilities = ["create", "read", "update", "delete"]
}
path "sys/mounts/+/tune" {
  capabilities = ["read", "update"]
}
path "sys/mounts/auth/+/tune" {
  capabilities = ["read", "update"]
}
path "sys/policies/acl/+" {
  capabilities = ["create", "read", "update", "delete"]
}
path "auth/+/config" {
  capabilities = ["create", "read", "update"]
}
path "auth/+/role/+" {
  capabilities = ["create", "read", "update", "delete"]
}
# Engines: their settings, roles and the names of their keys. No path here answers with a secret, a credential or a plaintext.
path "+/config/+" {
  capabilities = ["create", "read", "update", "delete"]
}
path "+/roles/+" {
  capabilities = ["create", "read", "update", "delete"]
}
path "+/keys/+" {
  capabilities = ["create", "read", "update"]
}
path "+/keys/+/config" {
  capabilities = ["read", "update"]
}
# A certificate authority is made inside and its key stays there.
path "+/root/generate/internal" {
  capabilities = ["update"]
}
path "+/issuer/+" {
  capabilities = ["read", "update"]
}
path "+/cert/ca" {
  capabilities = ["read"]
}
# Its own way in and its own rights are the custodians' to change.
path "auth/aws/*" {
  capabilities = ["deny"]
}
path "sys/auth/aws" {
  capabilities = ["deny"]
}
path "sys/policies/acl/deployer" {
  capabilities = ["read"]
}
# Ends its own session.
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "sys/capabilities-self" {
  capabilities = ["update"]
}
