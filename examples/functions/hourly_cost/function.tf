output "two_hours_of_four" {
  value = 2 * provider::streamverse::hourly_cost("gcp", "us-central1", "g2-standard-4", "spot", 4).hourly
}
