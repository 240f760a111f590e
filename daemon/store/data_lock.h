#pragma once
// DataLock: one process at a time in a data directory. The kernel drops it with the process.
#include <string>

#include "api/base/result.h"

namespace moth::store {

class DataLock {
 public:
  // Creates `data_dir` (mode 0700, parents too). ServiceUnavailable, naming the other process, when
  // it is taken.
  static Result<DataLock> take(const std::string& data_dir);
  DataLock(DataLock&& other) noexcept;
  DataLock& operator=(DataLock&& other) noexcept;
  ~DataLock();

 private:
  explicit DataLock(int file) : file_(file) {}
  int file_;
};

}  // namespace moth::store
