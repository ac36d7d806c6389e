# SPDX-License-Identifier: Apache-2.0
# AWS's four (its developer guide, "Create CloudWatch alarms for external key stores"). deploy/monitoring has the same for the
# nodes' own metrics, docs/guides/what-kms-says.md what each of AWS's metrics means for them.

locals {
  # Errors and latency come with more dimensions than an alarm may name, so they are asked for by a query.
  of_this_store = "WHERE CustomKeyStoreId = '${local.id}'"
}

resource "aws_cloudwatch_metric_alarm" "certificate" {
  count               = var.certificate_name == null ? 0 : 1
  alarm_name          = "${var.name}-xks-certificate-ends"
  alarm_description   = "The certificate that KMS sees ends in less than ten days; then nothing can be decrypted. Runbook: ClavigerCertificateEnds."
  namespace           = "AWS/KMS"
  metric_name         = "XksProxyCertificateDaysToExpire"
  dimensions          = { CustomKeyStoreId = local.id, CertificateName = var.certificate_name }
  statistic           = "Minimum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "LessThanThreshold"
  threshold           = 10
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics
}

resource "aws_cloudwatch_metric_alarm" "retryable" {
  alarm_name          = "${var.name}-xks-retryable-errors"
  alarm_description   = "More than five requests of a minute were not answered in time, or with an error that can be retried. Runbook: ClavigerRetryableErrors."
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 5
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics

  metric_query {
    id          = "errors"
    label       = "Retryable errors"
    expression  = "SELECT SUM(XksProxyErrors) FROM \"AWS/KMS\" ${local.of_this_store} AND ErrorType = 'Retryable'"
    period      = 60
    return_data = true
  }
}

resource "aws_cloudwatch_metric_alarm" "non_retryable" {
  alarm_name          = "${var.name}-xks-non-retryable-errors"
  alarm_description   = "More than five requests of a minute were refused for good: a credential, a path, a key, a block, a policy. Runbook: ClavigerNonRetryableErrors."
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 5
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics

  metric_query {
    id          = "errors"
    label       = "Non-retryable errors"
    expression  = "SELECT SUM(XksProxyErrors) FROM \"AWS/KMS\" ${local.of_this_store} AND ErrorType = 'NonRetryable'"
    period      = 60
    return_data = true
  }
}

resource "aws_cloudwatch_metric_alarm" "latency" {
  alarm_name          = "${var.name}-xks-latency"
  alarm_description   = "Answers take more than 200 ms on average; KMS gives up after 250 ms. Runbook: ClavigerSlow."
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 200
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics

  metric_query {
    id          = "latency"
    label       = "Average latency, milliseconds"
    expression  = "SELECT AVG(XksProxyLatency) FROM \"AWS/KMS\" ${local.of_this_store}"
    period      = 300
    return_data = true
  }
}
