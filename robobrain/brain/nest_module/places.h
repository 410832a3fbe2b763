// Places of nodes in arrays that are read and written without asking NEST.

#ifndef ROBOBRAIN_PLACES_H
#define ROBOBRAIN_PLACES_H

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "dictionary.h"
#include "exceptions.h"

namespace robobrain
{

inline const std::string PLACE = "place";

// One number for each node that has a place; they grow only between runs.
class Places
{
public:
  static constexpr size_t NONE = std::numeric_limits< size_t >::max();

  // Makes places for so many nodes, and returns the first.
  size_t
  make( const size_t number )
  {
    const size_t first = values_.size();
    values_.resize( first + number );
    return first;
  }

  // Forgets all places: the nodes are gone. Whoever was given some is told by the age.
  void
  clear()
  {
    values_.clear();
    ++age_;
  }

  size_t
  age() const
  {
    return age_;
  }

  double&
  operator[]( const size_t place )
  {
    return values_[ place ];
  }

  // Returns where some places begin; a null pointer where they are of a network that is gone.
  double*
  find( const size_t age, const size_t first, const size_t number )
  {
    return age == age_ and first + number <= values_.size() ? values_.data() + first : nullptr;
  }

  // Returns the place that is asked for, or the one there was.
  size_t
  chosen( const Dictionary& status, const size_t before ) const
  {
    long place = 0;
    if ( not status.update_integer_value( PLACE, place ) )
    {
      return before;
    }
    if ( place < 0 or static_cast< size_t >( place ) >= values_.size() )
    {
      throw nest::BadProperty( "There is no such place." );
    }
    return place;
  }

  // Refuses to run a node without a place.
  void
  check( const size_t place ) const
  {
    if ( place >= values_.size() )
    {
      throw nest::BadProperty( "A node of the model needs a place: it is made by robobrain, not by hand." );
    }
  }

private:
  std::vector< double > values_;
  size_t age_ = 0;
};

}

#endif
