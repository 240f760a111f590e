# Run by every build (cmake -P), with SOURCE_DIR and OUTPUT: writes the source of moth_build, and leaves the file
# alone when nothing has changed. The date is SOURCE_DATE_EPOCH's, else that of the commit: two builds of one
# commit are the same.
set(commit "")
set(state clean)
set(epoch "$ENV{SOURCE_DATE_EPOCH}")
find_program(git git)
if(git AND EXISTS "${SOURCE_DIR}/.git")
  execute_process(COMMAND "${git}" -C "${SOURCE_DIR}" log -1 --format=%H/%ct
    OUTPUT_VARIABLE head OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed)
    string(REPLACE "/" ";" head "${head}")
    list(GET head 0 commit)
    if(epoch STREQUAL "")
      list(GET head 1 epoch)
    endif()
    # Without locking the index, which somebody may be about to write.
    execute_process(COMMAND "${git}" --no-optional-locks -C "${SOURCE_DIR}" diff-index --quiet HEAD --
      ERROR_QUIET RESULT_VARIABLE changed)
    if(changed)
      set(state dirty)
    endif()
  endif()
endif()
if(epoch STREQUAL "")
  set(epoch 0)
endif()
set(ENV{SOURCE_DATE_EPOCH} "${epoch}")
string(TIMESTAMP date "%Y-%m-%dT%H:%M:%SZ" UTC)
file(CONFIGURE OUTPUT "${OUTPUT}" @ONLY CONTENT [=[
#include "api/base/build_info.h"

namespace moth {

BuildInfo this_build() {
  return {"@commit@", "@state@", "@date@"};
}

}  // namespace moth
]=])
