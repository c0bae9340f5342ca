output "encodes" {
  value = provider::streamverse::gpu_encoder("L40S").codecs
}
