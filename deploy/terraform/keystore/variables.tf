# SPDX-License-Identifier: Apache-2.0
variable "name" {
  description = "Name of the key store, unique in account and region; the alarms' names begin with it."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,200}$", var.name))
    error_message = "1 to 200 letters, digits, hyphens and underscores."
  }
}

variable "custom_key_store_id" {
  description = "A key store that is there already, for its keys and alarms alone: one that was made with a VPC endpoint service of another account, which the provider cannot name."
  type        = string
  default     = null
}

variable "endpoint" {
  description = "https:// and the name in the nodes' certificate; with a VPC endpoint service its private DNS name (output xks_proxy_uri_endpoint)."
  type        = string
  default     = null
  validation {
    condition     = var.endpoint == null || can(regex("^https://[A-Za-z0-9.-]+$", var.endpoint))
    error_message = "https:// and a name: no port, no path."
  }
}

variable "path_prefix" {
  description = "`path_prefix` of the `[[keystore]]` on the nodes, for example /bank/prod."
  type        = string
  default     = ""
  validation {
    condition     = var.path_prefix == "" || can(regex("^/[A-Za-z0-9/_-]{0,114}[A-Za-z0-9_-]$", var.path_prefix))
    error_message = "It begins with a slash, and does not end with one."
  }
}

variable "vpc_endpoint_service_name" {
  description = "The VPC endpoint service, of the same account (output xks_proxy_vpc_endpoint_service_name). Without it KMS comes over the Internet."
  type        = string
  default     = null
}

variable "first_credential" {
  description = "A credential that the nodes know, made for this alone: the state keeps it in clear text. It is replaced at once (README.md)."
  type = object({
    access_key_id         = string
    raw_secret_access_key = string
  })
  default   = null
  sensitive = true
}

variable "keys" {
  description = "KMS keys to be made, by external key id. Leave it empty until the key store is connected."
  type = map(object({
    description = string
    policy      = string
  }))
  default = {}
}

variable "certificate_name" {
  description = "The common name of the nodes' certificate, for the alarm. CloudWatch has no such metric for a wildcard: leave it out then, and rely on the nodes' own alert."
  type        = string
  default     = null
}

variable "alarm_topics" {
  description = "SNS topics that are told of alarms and of their end."
  type        = list(string)
}
