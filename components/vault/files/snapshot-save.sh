# MOUNT, ROLE: the login; JWT_FILE: who asks; SNAPSHOT: where it goes.
VAULT_TOKEN=$(vault write -field=token "auth/$MOUNT/login" "role=$ROLE" "jwt=@$JWT_FILE")
export VAULT_TOKEN
vault operator raft snapshot save "$SNAPSHOT.part"
# Cut short it would be found out only when it is needed.
gzip -t "$SNAPSHOT.part"
mv "$SNAPSHOT.part" "$SNAPSHOT"
echo "saved $(wc -c <"$SNAPSHOT") bytes"
