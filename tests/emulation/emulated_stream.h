// Streams: queues whose work waits until something waits for it, so that memory that is freed or reused too early
// shows.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "emulated_device.h"

namespace lowbit::emulation {

using Work = std::function<void()>;

// What a stream, and those that joined it by an event, were given to do since cudaStreamBeginCapture.
struct Capture {
  const Stream* origin;
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  bool is_valid = true;
  std::vector<Work> work;
};

struct Stream {
  cudaError_t enqueue(Work work);
  void run_next();
  void run_all();

  std::deque<Work> queue;
  std::shared_ptr<Capture> capture;  // that is under way
};

// A point in a stream's queue, or in a capture.
struct Marker {
  Stream* stream;
  std::shared_ptr<const Capture> capture;
  bool is_reached = false;
  std::chrono::steady_clock::time_point time;
};

struct Event {
  bool is_timed;
  std::shared_ptr<Marker> last;  // recorded
};

struct Graph {
  std::vector<Work> work;
};
struct GraphExec {
  std::vector<Work> work;
};

Stream* find_stream(cudaStream_t handle);  // NULL: no such stream
void run_all_streams();
// The answer to what CUDA forbids while streams capture, by the mode of the captures and of the calling thread.
// Whatever forbids it is spoilt.
cudaError_t refuse_unsafe();
// The answer to what a stream cannot do while it captures; spoils its capture too.
cudaError_t refuse_in_capture(const Stream& stream);

template <typename Body>
cudaError_t call_on(const char* function, cudaStream_t handle, Body body) {
  return call(function, [&] {
    Stream* const stream = find_stream(handle);
    return stream != nullptr ? body(*stream) : cudaErrorInvalidResourceHandle;
  });
}

}  // namespace lowbit::emulation
