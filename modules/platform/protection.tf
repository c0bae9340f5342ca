# Encryption and licences: nothing of it where `protection` is not given.

locals {
  protected = var.protection == null ? {} : { (var.name) = var.protection }
  # Who signs tokens for the page's demo viewers, and for whom.
  token = { issuer = "${var.name}-page", audience = "${var.name}-licence", key_id = "demo" }
}

resource "streamverse_key_service" "keys" {
  for_each           = local.protected
  name               = "${var.name}-keys"
  site               = var.site
  port               = var.ports.keys
  catalogue          = streamverse_catalogue.catalogue.url
  key_encryption_key = each.value.key_encryption_key
  access_key_ref     = each.value.access_key_ref
}

# What remembers which tokens were used must forget none, so it is not the cache of the origins.
resource "streamverse_cache" "tokens" {
  for_each = { for name, it in local.protected : name => it if it.token_cache != null }
  name     = "${var.name}-tokens"
  site     = var.site
  redis    = each.value.token_cache
}

resource "streamverse_drm_config" "drm" {
  for_each               = local.protected
  name                   = "${var.name}-drm"
  site                   = var.site
  scheme                 = each.value.scheme
  systems                = each.value.systems
  crypto_period_segments = each.value.crypto_period_segments
  key_service            = streamverse_key_service.keys[each.key].url
}

resource "streamverse_entitlement_policy" "policy" {
  for_each         = local.protected
  packages         = each.value.packages
  streams          = each.value.streams
  devices          = each.value.devices
  licence_duration = each.value.licence_duration
}

resource "streamverse_licence_service" "licence" {
  for_each        = local.protected
  name            = "${var.name}-licence"
  site            = var.site
  port            = var.ports.licence
  admin_port      = var.ports.admin
  key_service     = streamverse_key_service.keys[each.key].url
  catalogue       = streamverse_catalogue.catalogue.url
  cache           = one(values(streamverse_cache.tokens)[*].url)
  replicas        = each.value.token_cache == null ? 1 : var.replicas
  policy          = streamverse_entitlement_policy.policy[each.key].definition
  token           = { issuer = local.token.issuer, audience = local.token.audience }
  token_keys      = { (local.token.key_id) = { secret_ref = each.value.token_key_ref } }
  admin_token_ref = each.value.admin_token_ref
}
