# Channels of the videos, and their guide.

locals {
  # Everything that a channel may play.
  sources = {
    for name, it in var.channels : name => toset(concat(it.items, it.filler, it.spots, [it.slate]))
  }
}

resource "streamverse_fast_channel" "channel" {
  for_each     = var.channels
  name         = each.key
  site         = var.site
  title        = each.value.title
  port         = each.value.port
  object_store = streamverse_object_store.media.url
  catalogue    = streamverse_catalogue.catalogue.url
  start        = each.value.start
  time_zone    = each.value.time_zone
  sources = {
    for asset in local.sources[each.key] : asset => {
      title       = var.assets[asset].title
      duration_ms = streamverse_vod_asset.asset[asset].duration_ms
      ladder      = streamverse_vod_asset.asset[asset].ladder
      drm         = streamverse_vod_asset.asset[asset].drm
    }
  }
  schedule = { order = { items = each.value.items } }
  filler   = length(each.value.filler) == 0 ? null : each.value.filler
  slate    = each.value.slate
  ad_breaks = each.value.ad_break == null ? null : {
    positions = each.value.ad_positions
    duration  = each.value.ad_break
    spots     = length(each.value.spots) == 0 ? null : each.value.spots
  }
  horizon = each.value.horizon
}

resource "streamverse_epg" "guide" {
  for_each = length(var.channels) == 0 ? {} : { (var.name) = true }
  name     = "${var.name}-guide"
  site     = var.site
  port     = var.ports.guide
  channels = [for it in streamverse_fast_channel.channel : it.definition]
}
