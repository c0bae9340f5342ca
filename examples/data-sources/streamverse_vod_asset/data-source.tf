data "streamverse_vod_asset" "film" {
  name = "film"
}

output "renditions" {
  value = data.streamverse_vod_asset.film.renditions
}
