#include "models/philox.h"
