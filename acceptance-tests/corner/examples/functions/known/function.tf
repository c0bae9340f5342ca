output "known" {
  value = provider::corner::known("now") # true
}
