# SPDX-License-Identifier: Apache-2.0
output "xks_proxy_uri_endpoint" {
  description = "--xks-proxy-uri-endpoint of aws kms create-custom-key-store."
  value       = "https://${var.private_dns_name}"
}

output "xks_proxy_vpc_endpoint_service_name" {
  description = "--xks-proxy-vpc-endpoint-service-name of aws kms create-custom-key-store."
  value       = aws_vpc_endpoint_service.xks.service_name
}

output "private_dns_verification" {
  description = "The DNS record that proves that private_dns_name is yours; made here when public_zone_id is given."
  value = {
    name  = local.verification_name
    type  = local.verification.type
    value = local.verification.value
  }
}

output "balancer_dns_name" {
  description = "The load balancer's own name, for tests from within the VPC."
  value       = aws_lb.xks.dns_name
}
