terraform import streamverse_epg.main main
