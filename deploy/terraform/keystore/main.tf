# SPDX-License-Identifier: Apache-2.0
# The external key store in KMS, its KMS keys, and the four alarms that AWS advises. Connecting it is no resource of the
# provider: the output `connect` has the command.

locals {
  id           = var.custom_key_store_id != null ? var.custom_key_store_id : one(aws_kms_custom_key_store.this[*].id)
  connectivity = var.vpc_endpoint_service_name == null ? "PUBLIC_ENDPOINT" : "VPC_ENDPOINT_SERVICE"
}

resource "aws_kms_custom_key_store" "this" {
  count                 = var.custom_key_store_id == null ? 1 : 0
  custom_key_store_name = var.name
  custom_key_store_type = "EXTERNAL_KEY_STORE"

  xks_proxy_connectivity              = local.connectivity
  xks_proxy_uri_endpoint              = var.endpoint
  xks_proxy_uri_path                  = "${var.path_prefix}/kms/xks/v1"
  xks_proxy_vpc_endpoint_service_name = var.vpc_endpoint_service_name

  # The state keeps both in clear text. So this is a credential for the first minute: README.md says how it is replaced by
  # one that Terraform never sees.
  xks_proxy_authentication_credential {
    access_key_id         = var.first_credential.access_key_id
    raw_secret_access_key = var.first_credential.raw_secret_access_key
  }

  lifecycle {
    # All that is encrypted by its keys is lost with it.
    prevent_destroy = true
    # What KMS is given later, by `claviger keystore rotate`, is no drift.
    ignore_changes = [xks_proxy_authentication_credential]
    precondition {
      condition     = var.first_credential != null && var.endpoint != null
      error_message = "A new key store needs endpoint and first_credential; one that is there: custom_key_store_id."
    }
  }
}

# A KMS key keeps its external key for ever. The key store must be connected first.
resource "aws_kms_key" "this" {
  # checkov:skip=CKV_AWS_7: KMS does not rotate keys of an external key store; what lies behind the id can be.
  for_each                = var.keys
  description             = each.value.description
  custom_key_store_id     = local.id
  xks_key_id              = each.key
  policy                  = each.value.policy
  deletion_window_in_days = 30

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "this" {
  for_each      = var.keys
  name          = "alias/${replace(each.key, ".", "-")}"
  target_key_id = aws_kms_key.this[each.key].key_id
}
