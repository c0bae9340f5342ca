# A small platform on one site: stores, workers, an origin, an edge and a page.

terraform {
  required_providers {
    streamverse = {
      source = "registry.terraform.io/streamverse/streamverse"
    }
  }
}

resource "streamverse_object_store" "media" {
  name = "${var.name}-media"
  site = var.site
  s3   = var.object_store
}

resource "streamverse_event_log" "work" {
  name  = "${var.name}-work"
  site  = var.site
  kafka = var.event_log
}

resource "streamverse_catalogue" "catalogue" {
  name     = "${var.name}-catalogue"
  site     = var.site
  postgres = var.catalogue
}

resource "streamverse_cache" "cache" {
  count = var.cache == null ? 0 : 1
  name  = "${var.name}-cache"
  site  = var.site
  redis = var.cache
}

resource "streamverse_transcode_ladder" "ladder" {
  segment_duration = var.segment_duration
  video            = var.video
  audio            = var.audio
}

resource "streamverse_transcoder" "transcoder" {
  name         = "${var.name}-transcoder"
  site         = var.site
  concurrency  = var.concurrency
  event_log    = streamverse_event_log.work.url
  object_store = streamverse_object_store.media.url
  catalogue    = streamverse_catalogue.catalogue.url
}

resource "streamverse_vod_asset" "asset" {
  for_each   = var.assets
  name       = each.key
  site       = var.site
  title      = each.value.title
  source     = each.value.source
  subtitles  = each.value.subtitles
  thumbnails = {}
  ladder     = streamverse_transcode_ladder.ladder.definition
  transcoder = streamverse_transcoder.transcoder.name
  stores     = streamverse_transcoder.transcoder.stores
  drm        = each.value.protected ? one(values(streamverse_drm_config.drm)[*].definition) : null
}

resource "streamverse_origin" "origin" {
  name         = "${var.name}-origin"
  site         = var.site
  port         = var.ports.origin
  object_store = streamverse_object_store.media.url
  catalogue    = streamverse_catalogue.catalogue.url
  cache        = one(streamverse_cache.cache[*].url)
  replicas     = var.replicas
}

resource "streamverse_ats_edge" "edge" {
  name       = "${var.name}-edge"
  site       = var.site
  port       = var.ports.edge
  origins    = [{ url = streamverse_origin.origin.address }]
  storage    = var.edge_storage
  public_url = var.public_url
  # Viewers reach everything at one address. A list of none is no list.
  routes = length(var.channels) + length(local.protected) == 0 ? null : concat(
    [for name, it in streamverse_fast_channel.channel : { path = "/channel/${name}/", url = it.address, cache = true, stale = "5s" }],
    [for it in streamverse_epg.guide : { path = "/epg/", url = it.address, cache = true, stale = "1h" }],
    [for it in streamverse_licence_service.licence : { path = "/licence/", url = it.address, cache = false, stale = null }],
  )
}

resource "streamverse_web_player" "page" {
  name      = "${var.name}-page"
  site      = var.site
  port      = var.ports.page
  title     = var.title
  catalogue = streamverse_catalogue.catalogue.url
  delivery  = streamverse_ats_edge.edge.url
  assets    = [for name, it in var.assets : name if it.listed]
  channels  = length(var.channels) == 0 ? null : [for name, it in var.channels : { name = name, title = it.title }]
  licence = length(try(var.protection.viewers, [])) == 0 ? null : {
    url      = "${streamverse_ats_edge.edge.url}/licence/clearkey"
    issuer   = local.token.issuer
    audience = local.token.audience
    key_id   = local.token.key_id
    accounts = var.protection.viewers
  }
  token_key_ref = length(try(var.protection.viewers, [])) == 0 ? null : var.protection.token_key_ref
  services = merge(
    { origin = streamverse_origin.origin.address },
    { for it in streamverse_licence_service.licence : "licences" => it.address },
    { for name, it in streamverse_fast_channel.channel : "channel ${name}" => it.address },
  )
}

data "streamverse_playback" "asset" {
  for_each = { for name, it in var.assets : name => it if it.listed }
  asset    = each.key
  delivery = streamverse_ats_edge.edge.url
}
