// The kernels, for the instruction set that this file is compiled for; GDIFF_TABLE names their table.

#include "congruence.h"
#include "inverse.h"
#include "moments.h"
#include "pairs.h"

namespace gdiff {

extern const Kernels GDIFF_TABLE;
const Kernels GDIFF_TABLE = {
    {inverse<double>, moments<double>, pairs<double>, congruence<double>},
    {inverse<float>, moments<float>, pairs<float>, congruence<float>},
};

}  // namespace gdiff
