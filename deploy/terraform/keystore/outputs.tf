# SPDX-License-Identifier: Apache-2.0
output "custom_key_store_id" {
  description = "The key store."
  value       = local.id
}

output "connect" {
  description = "Connects it; describe-custom-key-stores says some five minutes later what came of it."
  value       = "aws kms connect-custom-key-store --custom-key-store-id ${local.id}"
}

output "replace_credential" {
  description = "The first credential is in the state in clear text: replace it at once by one that `claviger keystore rotate` has made."
  value       = "aws kms update-custom-key-store --custom-key-store-id ${local.id} --xks-proxy-authentication-credential file://credential.json"
}

output "key_arns" {
  description = "KMS keys by external key id."
  value       = { for id, key in aws_kms_key.this : id => key.arn }
}
