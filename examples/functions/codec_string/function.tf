output "codecs" {
  value = provider::streamverse::codec_string("h264", 1280, 720, "25", 4500000)
}
