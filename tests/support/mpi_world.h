// For tests that run under mpirun: the session that mpi_main.cpp opened.
#pragma once

#include "comm/mpi_session.h"

namespace elbow::tests {

comm::MpiSession& mpi_session();

}  // namespace elbow::tests
