#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes an external key store in KMS that reaches Claviger, connects it, and makes KMS keys for keys of your HSMs.
#
#   create-custom-key-store.sh --name NAME --endpoint https://xks.example.com --console-file console.json
#       [--vpc-endpoint-service com.amazonaws.vpce.REGION.vpce-svc-…] [--key EXTERNAL_KEY_ID]...
#
# console.json comes from `claviger keystore console-file`: path and credential. Without --vpc-endpoint-service KMS comes
# over the Internet. AWS credentials and region: as for any aws command. Needs aws (version 2) and jq.
set -euo pipefail

usage() {
    sed -n 's/^#   //p' "$0" >&2
    exit 2
}

name="" endpoint="" console="" service="" keys=()
while (($#)); do
    case "$1" in
        --name) name=${2:?$1 needs a value} ;;
        --endpoint) endpoint=${2:?$1 needs a value} ;;
        --console-file) console=${2:?$1 needs a value} ;;
        --vpc-endpoint-service) service=${2:?$1 needs a value} ;;
        --key) keys+=("${2:?$1 needs a value}") ;;
        *) usage ;;
    esac
    shift 2
done
[[ -n $name && -n $endpoint && -n $console ]] || usage

# The secret goes from file to file: an argument would be seen by whoever lists processes.
umask 077
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
jq -e .XksProxyAuthenticationCredential "$console" >"$scratch/credential.json"
path=$(jq -er .XksProxyUriPath "$console")

connectivity=(--xks-proxy-connectivity PUBLIC_ENDPOINT)
if [[ -n $service ]]; then
    connectivity=(--xks-proxy-connectivity VPC_ENDPOINT_SERVICE --xks-proxy-vpc-endpoint-service-name "$service")
fi

# Over the Internet KMS asks for GetHealthStatus already here, and refuses a proxy that does not answer as it should; by
# a VPC endpoint service it does when it connects.
id=$(aws kms create-custom-key-store \
    --custom-key-store-name "$name" \
    --custom-key-store-type EXTERNAL_KEY_STORE \
    --xks-proxy-uri-endpoint "$endpoint" \
    --xks-proxy-uri-path "$path" \
    --xks-proxy-authentication-credential "file://$scratch/credential.json" \
    "${connectivity[@]}" \
    --query CustomKeyStoreId --output text)
echo "key store $id"

aws kms connect-custom-key-store --custom-key-store-id "$id"
state=CONNECTING error=None
for ((round = 0; round < 240; round++)); do
    read -r state error < <(aws kms describe-custom-key-stores --custom-key-store-id "$id" \
        --query 'CustomKeyStores[0].[ConnectionState,ConnectionErrorCode]' --output text)
    [[ $state == CONNECTING ]] || break
    sleep 5
done
if [[ $state != CONNECTED ]]; then
    echo "key store $id is $state: $error (docs/guides/three-sites.md, \"KMS\")" >&2
    exit 1
fi
echo "connected"

for key in "${keys[@]}"; do
    arn=$(aws kms create-key \
        --origin EXTERNAL_KEY_STORE \
        --custom-key-store-id "$id" \
        --xks-key-id "$key" \
        --description "$key" \
        --query KeyMetadata.Arn --output text)
    echo "key $key is $arn"
done
