data "streamverse_spot_forecast" "encode" {
  synthetic  = { seed = 7, days = 30, burstiness = 4 }
  workers    = 4
  cold_start = "5m"
  spot_share = 0.4
  notice     = "2m"
  policy     = { spread = 2 }
}

output "at_least" {
  value = data.streamverse_spot_forecast.encode.all_ready.low
}
