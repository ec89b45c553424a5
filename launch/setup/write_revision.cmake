# Writes OUTPUT, a C++ source with the version and the git revision of SOURCE_DIR. The file is touched only when its text
# changes, so that a build without changes stays without work.
set(revision "")
execute_process(COMMAND git -C "${SOURCE_DIR}" rev-parse --show-toplevel
                OUTPUT_VARIABLE top OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE missing)
if(NOT missing AND top STREQUAL SOURCE_DIR)  # not the revision of a repository that only surrounds an unpacked archive
  execute_process(COMMAND git -C "${SOURCE_DIR}" describe --always --dirty --abbrev=12 --exclude=*
                  OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT revision)
  set(revision unknown)
endif()
file(CONFIGURE OUTPUT "${OUTPUT}" @ONLY CONTENT [[
namespace elbow::trainer {
extern const char kElbowVersion[];
extern const char kGitRevision[];
const char kElbowVersion[] = "@VERSION@";
const char kGitRevision[] = "@revision@";
}  // namespace elbow::trainer
]])
