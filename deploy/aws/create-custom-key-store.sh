#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes an external key store in KMS that reaches Claviger, connects it, and makes KMS keys for keys of your HSMs.
#
#   create-custom-key-store.sh --name NAME --endpoint https://xks.example.com --console-file console.json
#       [--vpc-endpoint-service com.amazonaws.vpce.REGION.vpce-svc-… [--vpc-endpoint-service-owner ACCOUNT]]
#       [--key EXTERNAL_KEY_ID]...
#
# console.json comes from `claviger keystore console-file`: path and credential. Without --vpc-endpoint-service KMS comes
# over the Internet. The owner is the account of an endpoint service that is another one's. AWS credentials and region: as for any aws command. Needs aws (version 2) and jq.
#
# What failed on its way, for example since KMS could not connect, is taken up by the same command once more.
set -euo pipefail

usage() {
    sed -n 's/^#   //p' "$0" >&2
    exit 2
}

name="" endpoint="" console="" service="" owner="" keys=()
while (($#)); do
    case "$1" in
        --name) name=${2:?$1 needs a value} ;;
        --endpoint) endpoint=${2:?$1 needs a value} ;;
        --console-file) console=${2:?$1 needs a value} ;;
        --vpc-endpoint-service) service=${2:?$1 needs a value} ;;
        --vpc-endpoint-service-owner) owner=${2:?$1 needs a value} ;;
        --key) keys+=("${2:?$1 needs a value}") ;;
        *) usage ;;
    esac
    shift 2
done
[[ -n $name && -n $endpoint && -n $console ]] || usage
[[ -z $owner || -n $service ]] || usage

# The secret goes from file to file: an argument would be seen by whoever lists processes.
umask 077
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
jq -e .XksProxyAuthenticationCredential "$console" >"$scratch/credential.json"
path=$(jq -er .XksProxyUriPath "$console")

connectivity=(--xks-proxy-connectivity PUBLIC_ENDPOINT)
if [[ -n $service ]]; then
    connectivity=(--xks-proxy-connectivity VPC_ENDPOINT_SERVICE --xks-proxy-vpc-endpoint-service-name "$service")
    # Of an endpoint service in another account.
    [[ -z $owner ]] || connectivity+=(--xks-proxy-vpc-endpoint-service-owner "$owner")
fi

# What `describe-custom-key-stores` has of the key store of this name; nothing where there is none.
describe() {
    aws kms describe-custom-key-stores --output json |
        jq --arg name "$name" '.CustomKeyStores[] | select(.CustomKeyStoreName == $name)'
}

# One value of it; "none" where it is absent.
value() { jq -r "$1 // \"none\"" <<<"$store"; }

# Seconds between two looks at it; a test has no need to wait.
poll=${CLAVIGER_POLL_S:-5}

# Waits while the key store is in a state that passes, at most 20 minutes.
wait_while() {
    for ((round = 0; round < 240; round++)); do
        store=$(describe)
        [[ $(value .ConnectionState) == "$1" ]] || return 0
        sleep "$poll"
    done
}

# Of a key store that is there already nothing is changed that leads elsewhere: its keys' ciphertext is made there.
refuse_another() {
    local found
    found=$(value '[.CustomKeyStoreType, .XksProxyConfiguration.UriEndpoint, .XksProxyConfiguration.UriPath,
        (.XksProxyConfiguration.VpcEndpointServiceName // "")] | join(" ")')
    [[ $found == "EXTERNAL_KEY_STORE $endpoint $path $service" ]] && return
    {
        echo "there is a key store $name ($id), and it is another one:"
        echo "  there: $found"
        echo "  asked: EXTERNAL_KEY_STORE $endpoint $path $service"
        echo "Choose another name. If it is meant to change: aws kms update-custom-key-store (see README.md), once it is disconnected."
    } >&2
    exit 1
}

store=$(describe)
if [[ -z $store ]]; then
    # Over the Internet KMS asks for GetHealthStatus already here, and refuses a proxy that does not answer as it should;
    # by a VPC endpoint service it does when it connects.
    id=$(aws kms create-custom-key-store \
        --custom-key-store-name "$name" \
        --custom-key-store-type EXTERNAL_KEY_STORE \
        --xks-proxy-uri-endpoint "$endpoint" \
        --xks-proxy-uri-path "$path" \
        --xks-proxy-authentication-credential "file://$scratch/credential.json" \
        "${connectivity[@]}" \
        --query CustomKeyStoreId --output text)
    echo "key store $id"
    store=$(describe)
else
    # This has been run before, and did not get to its end.
    id=$(value .CustomKeyStoreId)
    refuse_another
    echo "key store $id is there already, $(value .ConnectionState)"
    wait_while CONNECTING
    if [[ $(value .ConnectionState) == FAILED ]]; then
        # KMS connects one that has failed only after it was disconnected.
        aws kms disconnect-custom-key-store --custom-key-store-id "$id"
        store=$(describe)
    fi
    wait_while DISCONNECTING
    # The console file may have another credential than the last time.
    aws kms update-custom-key-store --custom-key-store-id "$id" \
        --xks-proxy-authentication-credential "file://$scratch/credential.json"
fi

if [[ $(value .ConnectionState) != CONNECTED ]]; then
    aws kms connect-custom-key-store --custom-key-store-id "$id"
    wait_while CONNECTING
fi
if [[ $(value .ConnectionState) != CONNECTED ]]; then
    echo "key store $id is $(value .ConnectionState): $(value .ConnectionErrorCode) (docs/guides/three-sites.md, \"KMS\")." \
        "Once that is mended, run this again: it goes on from here." >&2
    exit 1
fi
echo "connected"

for key in "${keys[@]}"; do
    if ! arn=$(aws kms create-key \
        --origin EXTERNAL_KEY_STORE \
        --custom-key-store-id "$id" \
        --xks-key-id "$key" \
        --description "$key" \
        --query KeyMetadata.Arn --output text 2>"$scratch/error"); then
        cat "$scratch/error" >&2
        # Made the last time, or for another KMS key: each external key can have one.
        grep -q XksKeyAlreadyInUseException "$scratch/error" || exit 1
        echo "key $key has a KMS key already"
        continue
    fi
    echo "key $key is $arn"
done
