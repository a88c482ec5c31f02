#!/bin/sh
# S3 in a container: who may do what with the bucket, from the environment; then the server. It knows no variables itself.
set -eu
umask 077

for secret in "$SET_UP_SECRET_KEY" "$GATEWAY_SECRET_KEY" "$ILLUSTRATOR_SECRET_KEY"; do
  case "$secret" in
    "" | *[!A-Za-z0-9]*) echo "A secret key of S3 must consist of letters and digits: see PRESSROOM_S3_SECRET_KEY_… in .env" >&2; exit 1 ;;
  esac
done

identities="${TMPDIR:-/tmp}/identities.json"
cat > "$identities" <<JSON
{"identities": [
  {"name": "set-up", "credentials": [{"accessKey": "set-up", "secretKey": "$SET_UP_SECRET_KEY"}],
   "actions": ["Admin", "Read", "Write", "List"]},
  {"name": "gateway", "credentials": [{"accessKey": "gateway", "secretKey": "$GATEWAY_SECRET_KEY"}],
   "actions": ["Read:$BUCKET", "List:$BUCKET"]},
  {"name": "illustrator", "credentials": [{"accessKey": "illustrator", "secretKey": "$ILLUSTRATOR_SECRET_KEY"}],
   "actions": ["Read:$BUCKET", "Write:$BUCKET", "List:$BUCKET"]}
]}
JSON

# Its parts find each other at 127.0.0.1, whatever the container is called; of its ports only S3's is used from outside.
exec weed -logtostderr=true mini -dir=/data -s3.config="$identities" -ip=127.0.0.1 -ip.bind=0.0.0.0 \
  -master.telemetry=false -master.resumeState=false -s3.allowDeleteBucketNotEmpty=false -s3.autoCreateBucket=false \
  -webdav=false -admin.ui=false -s3.port.iceberg=0 -s3.port.lance=0 -volume.preStopSeconds=0 -s3.port=8333 "$@"
