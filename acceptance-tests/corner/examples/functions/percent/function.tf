output "share" {
  value = provider::corner::percent(1, 8) # 12.5
}
