# The snapshot's account: the whole of Vault's data, encrypted, and nothing of it in the clear.
path "sys/storage/raft/snapshot" {
  capabilities = ["read"]
}
