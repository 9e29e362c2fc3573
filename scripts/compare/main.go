// What redis-benchmark cannot drive: puts to etcd by its own client, and SET followed by WAIT to Redis.
//
// usage: compare etcd|wait ADDRESSES CONNECTIONS SECONDS
//
// Closed loop: each connection sends the next write when the last was answered. Prints writes a second and percentiles.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"math/rand"
	"net"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Keys are drawn from as many.
const keys = 100_000

// One write; a worker has one of these for itself.
type write func(key int) error

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: compare etcd|wait ADDRESSES CONNECTIONS SECONDS")
	}
	addresses := strings.Split(os.Args[2], ",")
	connections, err := strconv.Atoi(os.Args[3])
	check(err)
	seconds, err := strconv.Atoi(os.Args[4])
	check(err)
	value := strings.Repeat("x", 100)

	var open func(worker int) write
	switch os.Args[1] {
	case "etcd":
		open = func(worker int) write { return etcd(addresses[worker%len(addresses)], value) }
	case "wait":
		open = func(worker int) write { return wait(addresses[0], value) }
	default:
		log.Fatal("etcd or wait")
	}
	run(open, connections, time.Duration(seconds)*time.Second)
}

func etcd(address, value string) write {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{address}, DialTimeout: 5 * time.Second})
	check(err)
	return func(key int) error {
		_, err := client.Put(context.Background(), fmt.Sprintf("key:%012d", key), value)
		return err
	}
}

func wait(address, value string) write {
	connection, err := net.Dial("tcp", address)
	check(err)
	reader := bufio.NewReader(connection)
	return func(key int) error {
		name := fmt.Sprintf("key:%012d", key)
		fmt.Fprintf(connection, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$1\r\n0\r\n",
			len(name), name, len(value), value)
		for _, wanted := range []string{"+OK", ":"} {
			line, err := reader.ReadString('\n')
			if err != nil {
				return err
			}
			if !strings.HasPrefix(line, wanted) {
				return fmt.Errorf("answered %q", line)
			}
		}
		return nil
	}
}

func run(open func(worker int) write, connections int, length time.Duration) {
	var group sync.WaitGroup
	taken := make([][]time.Duration, connections)
	begin := time.Now()
	end := begin.Add(length)
	for worker := range taken {
		group.Add(1)
		go func() {
			defer group.Done()
			random := rand.New(rand.NewSource(int64(worker)))
			put := open(worker)
			for before := time.Now(); before.Before(end); {
				check(put(random.Intn(keys)))
				after := time.Now()
				taken[worker] = append(taken[worker], after.Sub(before))
				before = after
			}
		}()
	}
	group.Wait()
	all := []time.Duration{}
	for _, one := range taken {
		all = append(all, one...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	if len(all) == 0 {
		log.Fatal("nothing was written")
	}
	at := func(share float64) time.Duration { return all[int(share*float64(len(all)-1))] }
	fmt.Printf("%.0f writes/s, p50 %v, p99 %v\n", float64(len(all))/time.Since(begin).Seconds(), at(0.5), at(0.99))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
