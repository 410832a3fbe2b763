// What packed nodes have in common: the log, and unless they do otherwise one port for spikes and a place in the inbox
// of the thread.

#ifndef ROBOBRAIN_PACKED_NODE_H
#define ROBOBRAIN_PACKED_NODE_H

#include <string>

#include "event_delivery_manager_impl.h"
#include "inbox.h"
#include "spike_log.h"

namespace robobrain
{

inline const std::string RECORDED = "recorded";

class PackedNode : public nest::Node
{
public:
  using Node::handle;
  using Node::handles_test_event;

  size_t
  send_test_event( Node& target, const size_t receptor, nest::synindex, bool ) override
  {
    nest::SpikeEvent event;
    event.set_sender( *this );
    return target.handles_test_event( event, receptor );
  }

  size_t
  handles_test_event( nest::SpikeEvent&, const size_t receptor ) override
  {
    check_receptor_( receptor );
    return 0;
  }

  // Counts spikes, whatever their weight.
  void
  handle( nest::SpikeEvent& event ) override
  {
    SharedInbox::at( *this, event ).excitatory += static_cast< double >( event.get_multiplicity() );
  }

protected:
  void
  pre_run_hook() override
  {
    SharedInbox::fit( *this );
  }

  void
  check_receptor_( const size_t receptor ) const
  {
    if ( receptor != 0 )
    {
      throw nest::UnknownReceptorType( receptor, get_name() );
    }
  }

  void
  fire_( const long origin, const long lag, const size_t multiplicity = 1 )
  {
    nest::SpikeEvent event;
    event.set_multiplicity( multiplicity );
    nest::kernel().event_delivery_manager.send( *this, event, lag );
    if ( recorded_ )
    {
      log_spike( *this, origin + lag + 1, multiplicity );
    }
  }

  bool recorded_ = false;
};

}

#endif
