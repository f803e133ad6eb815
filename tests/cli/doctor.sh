hone doctor --device virtual:h200
