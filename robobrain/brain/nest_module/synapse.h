// NEST's static_synapse in half of its memory, which brings weights to packed neurons without visiting them.

#ifndef ROBOBRAIN_SYNAPSE_H
#define ROBOBRAIN_SYNAPSE_H

#include "connection.h"
#include "connector_base.h"
#include "inbox.h"
#include "neuron.h"
#include "sort.h"
#include "static_synapse.h"

namespace robobrain
{

// A node of the thread by its local index, with the port; the flag says that its inbox takes weights.
class PackedTarget
{
public:
  void
  get_status( Dictionary& status ) const
  {
    status[ nest::names::rport ] = static_cast< long >( port_ );
  }

  nest::Node*
  get_target_ptr( const size_t thread ) const
  {
    return nest::kernel().node_manager.get_local_nodes( thread ).get_node_by_index( lid_ );
  }

  size_t
  get_rport() const
  {
    return port_;
  }

  void
  set_rport( const size_t port )
  {
    if ( port >= 8 )
    {
      throw nest::IllegalConnection( "A packed synapse knows ports below 8 only." );
    }
    port_ = port;
  }

  void
  set_target( nest::Node* target )
  {
    if ( target->get_thread_lid() >= 1u << 28 )
    {
      throw nest::IllegalConnection( "A packed synapse knows 2^28 nodes of a thread only." );
    }
    lid_ = target->get_thread_lid();
    takes_weights_ = dynamic_cast< PackedAlpha* >( target ) or dynamic_cast< PackedExponential* >( target );
  }

  size_t
  lid() const
  {
    return lid_;
  }

  bool
  takes_weights() const
  {
    return takes_weights_;
  }

private:
  unsigned int lid_ : 28 = 0;
  unsigned int port_ : 3 = 0;
  unsigned int takes_weights_ : 1 = 0;
};

// NEST registers synapses as templates over the kind of their target; this one has its own.
template < typename >
class PackedSynapse : public nest::Connection< PackedTarget >
{
public:
  using CommonPropertiesType = nest::CommonSynapseProperties;
  using ConnectionBase = nest::Connection< PackedTarget >;

  static constexpr nest::ConnectionModelProperties properties =
    nest::ConnectionModelProperties::HAS_DELAY | nest::ConnectionModelProperties::IS_PRIMARY;

  class ConnTestDummyNode : public nest::ConnTestDummyNodeBase
  {
  public:
    using ConnTestDummyNodeBase::handles_test_event;

    size_t
    handles_test_event( nest::SpikeEvent&, size_t ) override
    {
      return nest::invalid_port;
    }
  };

  void
  check_connection( nest::Node& source, nest::Node& target, const size_t receptor, const CommonPropertiesType& )
  {
    if ( not source.has_proxies() )
    {
      throw nest::IllegalConnection( "A packed synapse takes spikes of neurons, not of devices." );
    }
    ConnTestDummyNode dummy;
    check_connection_( dummy, source, target, receptor );
  }

  // Returns false so that NEST looks for no recorder of weights.
  bool
  send( nest::Event& event, const size_t thread, const CommonPropertiesType& )
  {
    event.set_delay_steps( get_delay_steps() );
    if ( target_.takes_weights() )
    {
      const double weight = weight_ * static_cast< nest::SpikeEvent& >( event ).get_multiplicity();
      inboxes[ thread ].at( target_.lid(), event ).add( weight );
      return false;
    }
    event.set_weight( weight_ );
    event.set_receiver( *get_target( thread ) );
    event.set_rport( get_rport() );
    event();
    return false;
  }

  void
  get_status( Dictionary& status ) const
  {
    ConnectionBase::get_status( status );
    status[ nest::names::weight ] = weight_;
    status[ nest::names::size_of ] = static_cast< long >( sizeof( *this ) );
  }

  void
  set_status( const Dictionary& status, nest::ConnectorModel& model )
  {
    ConnectionBase::set_status( status, model );
    status.update_value( nest::names::weight, weight_ );
  }

  void
  set_weight( const double weight )
  {
    weight_ = weight;
  }

private:
  double weight_ = 1.0;
};

using Wire = PackedSynapse< nest::TargetIdentifierPtrRport >;
using NestWire = nest::static_synapse< nest::TargetIdentifierPtrRport >;

// NEST's synapse that carries a number; where it comes to lie after sorting is where another would.
struct NumberedWire : NestWire
{
  static constexpr auto number = &NumberedWire::target_;
};

}

namespace nest
{

// As it was compiled into NEST: which of the synapses of one source comes first depends on the method.
extern template void sort( BlockVector< Source >&, BlockVector< robobrain::NestWire >& );

// Sorting puts them in the order in which it puts NEST's own: sums of weights are rounded in that order.
template <>
inline void
sort( BlockVector< Source >& sources, BlockVector< robobrain::Wire >& wires )
{
  constexpr auto number = robobrain::NumberedWire::number;
  BlockVector< robobrain::NestWire > numbered;
  for ( size_t index = 0; index < wires.size(); ++index )
  {
    robobrain::NestWire one;
    ( one.*number ).set_rport( index );
    numbered.push_back( one );
  }
  sort( sources, numbered );
  // In place, one cycle of exchanges after another: a place that is done has its own number.
  for ( size_t begin = 0; begin < wires.size(); ++begin )
  {
    const robobrain::Wire first = wires[ begin ];
    size_t place = begin;
    while ( numbered[ place ].get_rport() != begin )
    {
      const size_t from = numbered[ place ].get_rport();
      wires[ place ] = wires[ from ];
      ( numbered[ place ].*number ).set_rport( place );
      place = from;
    }
    wires[ place ] = first;
    ( numbered[ place ].*number ).set_rport( place );
  }
}

}

#endif
