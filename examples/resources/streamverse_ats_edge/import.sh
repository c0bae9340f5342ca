terraform import streamverse_ats_edge.main main
