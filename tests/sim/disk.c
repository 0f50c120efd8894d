#include "spool/segment.h"

bool sim_spool_believes(bool good)
{
    return good;
}
