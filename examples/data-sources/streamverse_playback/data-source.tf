data "streamverse_playback" "film" {
  asset    = "film"
  delivery = "http://127.0.0.1:8081"
}

output "hls" {
  value = data.streamverse_playback.film.hls
}
