// Places of nodes in arrays that are read and written without asking NEST.

#ifndef ROBOBRAIN_PLACES_H
#define ROBOBRAIN_PLACES_H

#include <string>
#include <vector>

#include "dictionary.h"
#include "exceptions.h"

namespace robobrain
{

inline const std::string PLACE = "place";

// Returns the place that is asked for, or the one there was.
inline size_t
place_in( const std::vector< double >& values, const Dictionary& status, const size_t before )
{
  long place = static_cast< long >( before );
  if ( not status.update_integer_value( PLACE, place ) )
  {
    return before;
  }
  if ( place < 0 or static_cast< size_t >( place ) >= values.size() )
  {
    throw nest::BadProperty( "There is no such place." );
  }
  return place;
}

// Makes places for so many nodes, and returns the first.
inline size_t
make_places( std::vector< double >& values, const size_t number )
{
  const size_t first = values.size();
  values.resize( first + number );
  return first;
}

}

#endif
