# SPDX-License-Identifier: Apache-2.0
# A network load balancer before the nodes, and the VPC endpoint service by which KMS reaches it without the Internet.
# TLS, and mutual TLS, go through it to the nodes.

data "aws_region" "current" {}

data "aws_partition" "current" {}

data "aws_vpc" "this" {
  id = var.vpc_id
}

resource "aws_security_group" "balancer" {
  name        = "${var.name}-nlb"
  description = "Claviger: from the load balancer to the nodes"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "xks" {
  for_each          = var.nodes
  security_group_id = aws_security_group.balancer.id
  description       = "Requests to ${each.key}"
  cidr_ipv4         = "${each.value.address}/32"
  ip_protocol       = "tcp"
  from_port         = var.xks_port
  to_port           = var.xks_port
}

resource "aws_vpc_security_group_egress_rule" "readiness" {
  for_each          = var.nodes
  security_group_id = aws_security_group.balancer.id
  description       = "Health checks of ${each.key}"
  cidr_ipv4         = "${each.value.address}/32"
  ip_protocol       = "tcp"
  from_port         = var.control_port
  to_port           = var.control_port
}

# For tests from within the VPC. KMS comes by PrivateLink, which is held by the endpoint service's permissions instead.
resource "aws_vpc_security_group_ingress_rule" "vpc" {
  security_group_id = aws_security_group.balancer.id
  description       = "Tests from within the VPC"
  cidr_ipv4         = data.aws_vpc.this.cidr_block
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_lb" "xks" {
  # checkov:skip=CKV_AWS_91: An NLB writes access logs for its TLS listeners only; TLS goes through to the nodes, which log each request.
  name               = var.name
  load_balancer_type = "network"
  internal           = true
  subnets            = var.subnet_ids
  security_groups    = [aws_security_group.balancer.id]

  # Without it nothing can be decrypted any more.
  enable_deletion_protection = var.deletion_protection

  # Any zone of the balancer may use any node: otherwise the loss of a node takes its whole zone with it.
  enable_cross_zone_load_balancing                             = true
  enforce_security_group_inbound_rules_on_private_link_traffic = "off"
}

resource "aws_lb_target_group" "xks" {
  name        = var.name
  vpc_id      = var.vpc_id
  target_type = "ip"
  protocol    = "TCP"
  port        = var.xks_port

  # An NLB looks every 5 s at most, and believes the second answer: drain_delay on the nodes must be above 10 s and what
  # it takes the balancer to act on it. 30 s are safe.
  health_check {
    protocol            = "HTTP"
    path                = "/readyz"
    port                = var.control_port
    matcher             = "200"
    interval            = 5
    timeout             = 2
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }

  # A node that says "not ready" still answers what it has: its connections are left alone for a while, and only those
  # of a node that hangs are then cut.
  target_health_state {
    enable_unhealthy_connection_termination = false
    unhealthy_draining_interval             = 60
  }
  deregistration_delay = 60
}

resource "aws_lb_target_group_attachment" "node" {
  for_each          = var.nodes
  target_group_arn  = aws_lb_target_group.xks.arn
  target_id         = each.value.address
  port              = var.xks_port
  availability_zone = each.value.outside_vpc ? "all" : null
}

resource "aws_lb_listener" "xks" {
  load_balancer_arn = aws_lb.xks.arn
  port              = 443
  protocol          = "TCP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.xks.arn
  }
}

# What KMS asks of it: no acceptance by hand, IPv4, its own principal allowed, a private DNS name that is verified. Accounts
# that make the key store elsewhere must be able to see it.
resource "aws_vpc_endpoint_service" "xks" {
  # checkov:skip=CKV_AWS_123: KMS refuses a service that asks for acceptance by hand; who may connect is held by allowed_principals.
  acceptance_required        = false
  network_load_balancer_arns = [aws_lb.xks.arn]
  supported_ip_address_types = ["ipv4"]
  private_dns_name           = var.private_dns_name
  allowed_principals = concat(
    ["cks.kms.${data.aws_region.current.region}.amazonaws.com"],
    [for account in var.key_store_accounts : "arn:${data.aws_partition.current.partition}:iam::${account}:root"],
  )

  tags = {
    Name = var.name
  }
}

locals {
  verification = one(aws_vpc_endpoint_service.xks.private_dns_name_configuration)
  # "_abc123" belongs below the verified domain, which the service's DNS name is, or is in.
  verification_name = "${local.verification.name}.${var.private_dns_name}"
}

resource "aws_route53_record" "verification" {
  count   = var.public_zone_id == null ? 0 : 1
  zone_id = var.public_zone_id
  name    = local.verification_name
  type    = local.verification.type
  ttl     = 300
  records = [local.verification.value]
}

resource "aws_vpc_endpoint_service_private_dns_verification" "xks" {
  count                 = var.public_zone_id == null ? 0 : 1
  service_id            = aws_vpc_endpoint_service.xks.id
  wait_for_verification = true
  depends_on            = [aws_route53_record.verification]
}
