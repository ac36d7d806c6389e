# SPDX-License-Identifier: Apache-2.0
variable "name" {
  description = "Name of the load balancer and of what belongs to it."
  type        = string
  default     = "claviger"
  validation {
    condition     = can(regex("^[a-zA-Z0-9]([a-zA-Z0-9-]{0,24}[a-zA-Z0-9])?$", var.name))
    error_message = "1 to 26 letters, digits and hyphens, no hyphen at either end."
  }
}

variable "vpc_id" {
  description = "The VPC in which the load balancer stands. It need not be one that KMS's callers use."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets for the load balancer, in different availability zones. KMS wants at least two; take one for each zone in which a node stands."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "A VPC endpoint service for KMS needs subnets in at least two availability zones."
  }
}

variable "nodes" {
  description = "The nodes: a name, and the private IPv4 address. `outside_vpc` for those reached by Direct Connect, VPN or peering."
  type = map(object({
    address     = string
    outside_vpc = optional(bool, false)
  }))
  validation {
    condition     = length(var.nodes) >= 1 && alltrue([for node in var.nodes : can(cidrhost("${node.address}/32", 0))])
    error_message = "Each node needs an IPv4 address."
  }
}

variable "xks_port" {
  description = "The port of `xks.listen` on the nodes."
  type        = number
  default     = 8443
}

variable "control_port" {
  description = "The port of `control.listen` on the nodes, where /readyz is asked for."
  type        = number
  default     = 8080
}

variable "private_dns_name" {
  description = "The name in the nodes' certificate and in the XKS proxy's URI endpoint, for example xks.example.com."
  type        = string
}

variable "public_zone_id" {
  description = "The public Route 53 zone that private_dns_name is in, for the TXT record that proves it is yours. Without it, make the record of the output private_dns_verification by hand."
  type        = string
  default     = null
}

variable "key_store_accounts" {
  description = "Numbers of other accounts that make key stores with this endpoint service; the account of the service itself needs no mention. They give this account's number as --xks-proxy-vpc-endpoint-service-owner."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for account in var.key_store_accounts : can(regex("^[0-9]{12}$", account))])
    error_message = "An account number has twelve digits."
  }
}

variable "deletion_protection" {
  description = "Whether the load balancer can be deleted only after this was set to false."
  type        = bool
  default     = true
}
