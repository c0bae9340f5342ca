data "streamverse_media_probe" "film" {
  url = "file:///srv/media/film.mp4"
}

output "height" {
  value = data.streamverse_media_probe.film.video.height
}
