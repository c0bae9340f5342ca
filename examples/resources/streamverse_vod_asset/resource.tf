resource "streamverse_transcode_ladder" "hd" {
  video = [{ name = "720p", height = 720, bit_rate = 2500000 }]
  audio = [{ name = "stereo" }]
}

resource "streamverse_vod_asset" "film" {
  name  = "film"
  title = "A film"
  source = {
    url    = "https://media.example.org/film.mp4"
    digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  }
  thumbnails = {}
  ladder     = streamverse_transcode_ladder.hd.definition
  transcoder = "main"
}
