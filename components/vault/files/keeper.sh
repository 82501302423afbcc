# Beside a Vault server, in its process namespace: SIGHUP makes it read its certificate again and open its audit file anew.
# CERTIFICATE, AUDIT_FILE: paths. LIMIT_KIB: size at which the audit file is turned over. EVERY: seconds between two looks.
seen=$(cksum "$CERTIFICATE")
while :; do
  sleep "${EVERY:-30}"
  changed=
  now=$(cksum "$CERTIFICATE")
  if [ "$now" != "$seen" ]; then
    seen=$now changed=certificate
  fi
  if [ -f "$AUDIT_FILE" ] && [ "$(du -k "$AUDIT_FILE" | cut -f1)" -ge "${LIMIT_KIB:-4194304}" ]; then
    mv -f "$AUDIT_FILE" "$AUDIT_FILE.1"
    changed="${changed:+$changed and }audit file"
  fi
  if [ -n "$changed" ]; then
    if server=$(pidof vault); then
      kill -HUP $server
      echo "{\"level\":\"info\",\"message\":\"told the server of a new $changed\"}"
    fi
  fi
done
