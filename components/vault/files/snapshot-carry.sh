# SNAPSHOT: the file; TARGET: s3://bucket/prefix/. A bucket with Object Lock takes nothing without a checksum.
key=$(date -u +%Y/%m/%d/%H%M%SZ).snap
aws s3 cp --only-show-errors --checksum-algorithm SHA256 "$SNAPSHOT" "$TARGET$key"
echo "carried to $TARGET$key"
