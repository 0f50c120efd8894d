#include "daemon/places.h"

const char places_config[] = MCPTALLY_SYSCONFDIR "/mcptally/mcptallyd.yaml";
