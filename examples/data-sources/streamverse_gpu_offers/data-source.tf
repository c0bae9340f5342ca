data "streamverse_gpu_offers" "encoders" {
  gpus = ["L40S", "L4", "RTX 4090"]
}

output "cheapest_encoder" {
  value = data.streamverse_gpu_offers.encoders.offers[0]
}
