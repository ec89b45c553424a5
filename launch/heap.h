// How this process takes memory from the kernel.
#pragma once

namespace elbow::launch {

// Keeps what is freed, because the tensors of a step are freed and allocated again in the next; and
// asks for pages of 2 MiB, because all of a step's memory is read or written whole, and 4 KiB pages
// of it do not fit into the cache of the CPU's page tables: 3 to 9 % of a step. The kernel grants
// them where it may. Once, at the start of the program.
void prepare_heap();

}  // namespace elbow::launch
