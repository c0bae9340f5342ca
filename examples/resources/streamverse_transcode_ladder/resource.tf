resource "streamverse_transcode_ladder" "hd" {
  segment_duration = "4s"
  video = [
    { name = "720p", height = 720, bit_rate = 2500000, gop = "2s" },
    { name = "240p", height = 240, bit_rate = 400000 },
  ]
  audio = [{ name = "stereo", bit_rate = 128000, loudness = -23 }]
}
