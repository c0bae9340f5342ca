output "page" {
  description = "The page's address."
  value       = streamverse_web_player.page.address
}

output "edge" {
  description = "Where viewers reach the edge."
  value       = streamverse_ats_edge.edge.url
}

output "playback" {
  description = "HLS and DASH addresses of each asset."
  value       = { for name, it in data.streamverse_playback.asset : name => { hls = it.hls, dash = it.dash } }
}

output "channels" {
  description = "HLS, DASH, guide and now/next addresses of each channel."
  value = {
    for name in keys(var.channels) : name => {
      hls   = "${streamverse_ats_edge.edge.url}/channel/${name}/hls.m3u8"
      dash  = "${streamverse_ats_edge.edge.url}/channel/${name}/dash.mpd"
      now   = "${streamverse_ats_edge.edge.url}/channel/${name}/now.json"
      guide = "${streamverse_ats_edge.edge.url}/epg/${name}.xml"
    }
  }
}

output "licence_admin" {
  description = "Where grants are written, by who has the admin token; none without `protection`."
  value       = one(values(streamverse_licence_service.licence)[*].admin_address)
}
